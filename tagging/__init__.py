"""Text and facts in, tags and welcomes out: channel codes, corp tags, welcomes."""
