"""Reading what a tap sends."""
