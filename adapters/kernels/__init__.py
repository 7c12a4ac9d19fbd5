"""Linear walks over events that are sorted by actor and time: numpy only, no SQL, no response JSON.

Each module takes plain arrays and gives plain arrays or rows, so that any engine which can filter and fetch may use it.
"""
