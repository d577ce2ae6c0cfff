"""The auxiliary table: UCI "Solar Flare", published again as a data set on stealth flares."""
