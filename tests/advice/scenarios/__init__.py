"""What people do about a failed invoice, each as the catalogue tells them to; a module for each section of it."""
