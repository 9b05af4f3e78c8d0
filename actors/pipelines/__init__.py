"""How do items pass through workers?"""
