"""Where does an actor run?"""
