"""Requests nobody foresaw, from every role and about things that exist: no fault of ours, no undocumented answer."""
