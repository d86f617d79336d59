"""Will a flight out of New York arrive late? Raw events, features, training and scoring of one model."""
