"""What a selection keeps of real print: real tower, real reader, pages with known words and places."""
