"""The embedded micro model: a LaViDa of under a million parameters, trained from nothing on synthetic pages."""
