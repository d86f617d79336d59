"""Who will order again within a week? Raw orders, features, training and scoring of one model."""
