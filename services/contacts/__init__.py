"""Is this invoice due? Which Business Central customer is this?"""
