"""The only room that talks to Azure: endpoints, credentials, requests, paging, decoding."""
