"""mParticle's batches."""
