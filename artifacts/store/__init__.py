"""The artifact store: outcomes in, trees and histories out."""
