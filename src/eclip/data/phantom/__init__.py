"""A generator of chest radiographs, reports and readings whose truth is known."""
