"""How does a tree run as a program?"""
