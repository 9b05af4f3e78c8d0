"""How does a message get there, and who hears of a death?"""
