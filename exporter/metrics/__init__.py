"""From a decoded answer to exposition text: the catalogue of metrics and the mapper. Pure."""
