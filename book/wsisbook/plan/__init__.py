"""What runs would cost, and a try at full size before anything is downloaded."""
