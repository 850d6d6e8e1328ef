"""`chasqui up`: one replica and its Envoy as processes of this machine."""
