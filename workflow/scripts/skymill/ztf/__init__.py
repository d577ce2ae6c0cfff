"""The ZTF branch: nightly archives of alerts to labelled image stamps."""
