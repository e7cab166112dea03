"""What readers see: one case, lists and queues of cases, the map, exports, figures, photos, papers."""
