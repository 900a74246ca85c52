"""Tables and pictures of photographs, on pages of every scale."""
