"""Files: pictures, weights, writes that are whole or absent, locks between processes."""
