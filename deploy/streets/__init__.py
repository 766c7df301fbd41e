"""The streets under the drivers: an OpenStreetMap extract becomes the tiles of the pages' maps."""
