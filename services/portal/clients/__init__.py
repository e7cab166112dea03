"""The services behind the portal."""
