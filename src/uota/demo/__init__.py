"""The demo: drawings that are filed wrong are found, and encoders are trained on them."""
