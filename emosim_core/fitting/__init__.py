"""Users learned from a log of real users: what they choose, how they rate, who they are."""
