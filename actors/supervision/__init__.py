"""When does a child start and stop?"""
