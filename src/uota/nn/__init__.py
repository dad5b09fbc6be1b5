"""Networks: encoders and what they share."""
