"""What the portal writes: the photos of a form, and sessions of reporters."""
