"""What tokens cost, by model, service tier and time; exact amounts of money."""
