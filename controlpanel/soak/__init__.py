"""A trial of endurance: many workers, faults and kills, and a count of what was lost or done twice. See ``soak``."""
