"""Many runs as one plan: carried out, resumed, fused, and compared in one table."""
