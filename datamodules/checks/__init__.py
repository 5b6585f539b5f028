"""Reading every image once, and what that tells of a data set."""
