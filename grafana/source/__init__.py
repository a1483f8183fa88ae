"""The Grafana dashboards as code: `make dashboards` writes `grafana/dashboards/*.json` from here.

`queries.py` says how expressions are made, `states.py` what states are called and which colour
they have, `panels.py` what the panels have in common, `frame.py` what the dashboards have in
common. The other files are one dashboard each.
"""
