"""What is made of the figures: the goals, the tables, the chart."""
