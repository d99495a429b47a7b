"""Headrace under load: started as the API starts runs, checked in the database and in Redis."""
