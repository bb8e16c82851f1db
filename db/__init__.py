"""What is stored, and every movement of money."""
