"""How does one incarnation of an actor live?"""
