"""What insights, projects, users and keys are: decisions and values, without I/O."""
