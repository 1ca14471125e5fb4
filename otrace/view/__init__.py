"""The viewer: traces and recordings, shown in Perfetto's UI by a server on this machine."""
