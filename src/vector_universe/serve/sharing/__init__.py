"""The parts of an archive that opens without a server."""
