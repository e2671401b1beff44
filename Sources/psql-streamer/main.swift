import Streamer
