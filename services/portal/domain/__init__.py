"""What the portal shows, by noun: cases, standings, entries, measures, lists. No personal data."""
