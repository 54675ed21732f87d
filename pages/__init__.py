"""Pages to look at in a browser: `index.html` of a run, and what the site of a report is made of.

A page is one file that needs no network. Whatever comes from data or settings is escaped, and a policy in the head lets
no script run but ours.
"""
