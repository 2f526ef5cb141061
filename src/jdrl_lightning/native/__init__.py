"""C++ that is compiled on first use, and what all of it includes."""
