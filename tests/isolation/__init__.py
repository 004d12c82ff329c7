"""Users whose names are made to collide, at work at the same time: does anybody see what is another's?"""
