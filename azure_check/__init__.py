"""The lessons on an emulator and on a DICOM service, request by request, and what differs: python3 run.py azure-check

`lessons` runs them, each in a kernel in which `recorder` writes down every exchange and keeps the hands off all that is
not the course's own. `touched` says which resources a request may change. `service` looks before anything is sent, and
tidies up. `masks` hides what differs on any two runs, `comparing` finds what is left, `probes` ask beyond the lessons,
`report` writes it all down.
"""
