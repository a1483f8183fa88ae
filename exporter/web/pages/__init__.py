"""The pages for people: the fleet, a scale set, one instance. No JavaScript, no build step."""
