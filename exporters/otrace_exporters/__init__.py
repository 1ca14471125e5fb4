"""otrace's own exporters. They come through the entry points of the package, as anybody's would."""
