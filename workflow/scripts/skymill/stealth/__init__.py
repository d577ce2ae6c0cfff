"""The auxiliary table: UCI "Solar Flare", republished as a data set on stealth flares."""
